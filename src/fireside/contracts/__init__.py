"""What services say to each other: one module a service, with its actions, events and the models they carry."""
