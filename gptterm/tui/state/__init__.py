"""The state of the chats and their actions on it; knows no widgets."""
