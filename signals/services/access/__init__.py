"""Keys, tenants and quotas: authentication, limits, provisioning."""
