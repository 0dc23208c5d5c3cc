"""Who is who: accounts, sessions, API keys, roles, and telling the gateway whom a credential stands for."""
