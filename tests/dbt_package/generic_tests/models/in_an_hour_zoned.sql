select 'S-1' as sensor, {{ featurestore.add_duration('now()', '1 hour') }} as read_at
