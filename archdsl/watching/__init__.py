"""`archdsl watch`: the interactive page of a spec, which follows the file while it is edited."""
