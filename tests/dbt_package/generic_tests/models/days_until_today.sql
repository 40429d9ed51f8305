select 'S-1' as sensor, cast({{ featurestore.utc_now() }} as date) as day
