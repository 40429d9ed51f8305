select 'S-1' as sensor, {{ featurestore.utc_now() }} as read_at
