"""The doctor: finds the cause before, during and after. The same causes, evidence and remedies as a failed call's.

Theory of operation. A **probe** (one file in `probes`) first measures and only measures: what a name resolves to, what
is served at each of its addresses. When all have measured, each **judges**: a pure function of the case and of every
measurement, so that it can hold its own against a control (a second resolver, another name at the same address, a
third host). What it finds is a `Check`: a line that says what was seen, and for trouble the verdict that a failed call
would have got, made by the same engine from the same kind of evidence, with what the controls rule out.

A verdict is only as good as its control. Without one the check says so, and nothing is called blocked or tampered
that could as well be down. The method is that of OONI's web_connectivity (ooni/spec ts-017), without its helper: there
is no independent place to look from, so the honest top verdict is "between this machine and the provider".

Two ways of running. **Asked for** (`whygate doctor`, the page): everything, third parties as controls among it, after
saying what will be contacted. **Unasked** (in the path, when a call failed): only probes that touch the failing host,
the configured proxy and the provider's status page.

    case (what is asked, with which lists) -> run (measure by dependency, in time) -> judge (pure) -> report
"""
