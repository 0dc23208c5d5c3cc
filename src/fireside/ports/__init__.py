"""What Fireside needs from technology, as Protocols: one module a port. No implementation, no driver."""
