"""What strangers try: nothing that a server, a room member or another local user sends reaches more than the rows."""
