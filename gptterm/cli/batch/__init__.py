"""`gptterm batch`: a prompt a line in, a record a line out.

`reader`, `line_parser` and `jobs` turn lines into jobs, `local` and `workers` run them on an engine
of this process or on others, `run`, `sink` and `writer` write what comes of them, to stdout or an
`output_file`.
"""
