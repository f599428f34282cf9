"""Makes the bundled model `tiny`: its text, its tokenizer, its training, its measures.

python -m tools.tiny_model train        the whole run, resumable
python -m tools.tiny_model quality      the figures of the model card
python -m tools.tiny_model sample       a few stories of the generator
"""
