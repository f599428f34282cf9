"""`gptterm batch`: a prompt a line in, a record a line out.

`reader` and `jobs` turn lines into jobs, `local` and `workers` run them on an engine of this
process or on others, `records` and `sink` write what comes of them.
"""
