select 'S-1' as sensor, {{ featurestore.add_duration(featurestore.utc_now(), '1 hour') }} as read_at
