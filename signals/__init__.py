"""Everything the product knows, free of Ray, HTTP frameworks and Kubernetes."""
