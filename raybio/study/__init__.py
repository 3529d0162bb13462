"""Studies: corpora x models x rates x seeds x decode modes, planned, run, watched and reported.

A study is a folder of run folders. What is left to do is computed from what is in that folder and
nothing else, so the same command resumes where the last one ended.
"""
