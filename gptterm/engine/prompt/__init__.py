"""From a prompt of the contract to ids that fit the context."""
