select 'S-1' as sensor, now() as read_at
