"""Actions set off by keys, commands and menus.

They see the chat screen through the `ChatView` protocol only, so that the screen can import them.
"""
