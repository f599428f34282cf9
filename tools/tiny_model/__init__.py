"""Make the bundled model `tiny`: corpus, tokenizer, training, evaluation.

python -m tools.tiny_model train        the whole run, resumable
python -m tools.tiny_model quality      the figures of the model card
python -m tools.tiny_model sample       a few stories of the generator
"""
