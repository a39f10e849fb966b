"""What an editor shows of a spec while it is typed: plain functions over a text; `server` alone knows the protocol."""
