select
    {{ featurestore.local_time("cast('2024-05-01 22:30:00' as timestamp)", "'Europe/Berlin'") }} as berlin,
    {{ featurestore.add_duration("cast('2024-05-01 22:30:00' as timestamp)", '1 day 90m') }} as later,
    {{ featurestore.utc_now() }} as now
