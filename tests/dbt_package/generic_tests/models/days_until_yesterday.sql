select 'S-1' as sensor, cast({{ dbt.dateadd('day', -1, featurestore.utc_now()) }} as date) as day
