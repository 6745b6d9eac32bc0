"""Many runs: what a study varies, how it searches, and what it remembers."""
