"""Other libraries' clients on a store: each module needs the extra of its name."""
