"""Form of a reply: Markdown or plain text."""

from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import ModelInfo


def is_markdown(tree: Conversation, node: Node, info: ModelInfo | None = None) -> bool:
    """Whether a turn is a chat model's reply, or one that was imported.

    Text of a base model, and a raw continuation, is plain. A reply edited by hand is what the
    version is that a model wrote.

    Args:
        tree: The chat.
        node: The turn.
        info: The model that is loaded, which older replies go by if it wrote them.
    """
    if node.role == "user":
        return False
    versions = (node, *map(tree.node, tree.siblings(node.id)))
    run = next((version.generation for version in versions if version.generation), None)
    if run is None or run.origin:
        return True
    if run.chat_template is None and info is not None and info.name == run.model:
        return info.has_chat_template and not run.raw
    return not run.raw and run.chat_template is not False
