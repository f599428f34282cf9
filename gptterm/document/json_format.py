"""Format of a document's JSON, which `export` writes and `json_import` reads."""

FORMAT = "gptterm document"
VERSION = 1
