"""The chat screen and what belongs to it alone: panes, key hints, turn views, stream painter."""
