"""Every query of the chat service. What keeps conversations stands behind a port; Responses bring their session."""
