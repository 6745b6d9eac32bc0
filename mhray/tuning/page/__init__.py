"""The report of a study: one page of sentences, tables and figures, all of it from the journal.

``material`` is what the journal holds. Each section is a function from it to ``blocks``; what it
has to compute lies beside it. ``html`` and ``markdown`` write the same blocks in two forms, so one
says what the other says.
"""
