"""GGUF files: their header, and what of it other rooms build on.

reader     metadata and tensor table of one file, bounded and checked
types      block sizes of the quantised types
families   hyper-parameters as in config.json, and names of weights, by architecture
patterns   pre-tokenizer patterns by the name in `tokenizer.ggml.pre`
tokenizer  a tokenizer from the metadata
"""
