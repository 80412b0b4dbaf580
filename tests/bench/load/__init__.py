"""What whole flows cost the server and its database: CPU time of their processes, with the least possible beside it."""
