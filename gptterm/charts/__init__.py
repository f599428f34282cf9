"""Charts of what a model computed: pure functions from numbers to drawings.

The views turn the events of `gptterm.engine.inspection.answers` into a `Figure`; a figure is drawn
on a terminal, as tab-separated text, as SVG or as HTML.
"""
