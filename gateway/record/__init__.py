"""Keeps one row a call, never in the way of the call.

Theory of operation. The path only hands over references: `Recorder.opened` and `Recorder.closed` append to a ring in
memory. One writer thread turns finished calls into rows, strikes secrets out and commits them in small batches. Readers
look at the ring first and at the file second. A call only ever moves open -> finished -> ready -> committed, and it is
put into the next place before it leaves the one before, so whoever looks in that order sees every call at least once;
`seq` removes what was seen twice.

Only finished calls reach the file. After a crash it therefore holds whole batches and no half-open row; what is lost is
what was still running and at most the last batch.
"""
