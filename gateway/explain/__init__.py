"""What somebody saw -> the verdict: a pasted exception, a raw answer, curl's output, a HAR, a row of a corpus."""
