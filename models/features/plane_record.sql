with landings as (

    select
        tailnum,
        landed_at,
        loaded_at,
        destination,
        departure_delay,
        arrival_delay,
        air_minutes,
        case when arrival_delay >= 15 then 1 else 0 end as was_late,
        {{ dbt.datediff("cast('2013-01-01 00:00:00' as timestamp)", 'landed_at', 'minute') }} as landed_minute,
        row_number() over (
            partition by tailnum, landed_at
            order by scheduled_departure_at desc, carrier, flight_number
        ) as position_at_instant
    from {{ ref('stg_flights') }}
    where tailnum is not null and landed_at is not null

),

-- Every window ends at the row's own landing and holds finished flights only, that one included. It is a range of whole minutes, which is
-- what the instants are in, because not every warehouse has windows over intervals.
windows as (

    select
        *,
        count(*) over last_24h as landings_24h,
        count(*) over last_7d as landings_7d,
        count(*) over last_30d as landings_30d,
        sum(departure_delay) over last_24h as departure_delay_24h,
        sum(departure_delay) over last_7d as departure_delay_7d,
        sum(departure_delay) over last_30d as departure_delay_30d,
        sum(arrival_delay) over last_24h as arrival_delay_24h,
        sum(arrival_delay) over last_7d as arrival_delay_7d,
        sum(arrival_delay) over last_30d as arrival_delay_30d,
        avg(was_late) over last_30d as late_share_30d,
        sum(air_minutes) over last_7d as air_minutes_7d
    from landings
    window
        last_24h as (partition by tailnum order by landed_minute range between {{ 24 * 60 }} preceding and current row),
        last_7d as (partition by tailnum order by landed_minute range between {{ 7 * 24 * 60 }} preceding and current row),
        last_30d as (partition by tailnum order by landed_minute range between {{ 30 * 24 * 60 }} preceding and current row)

)

-- A mean is a sum of integers through their number: that is the same to the last digit on every warehouse, and `avg` is not.
select
    tailnum,
    landed_at,
    loaded_at,
    cast(landings_24h as integer) as landings_24h,
    cast(landings_7d as integer) as landings_7d,
    cast(landings_30d as integer) as landings_30d,
    cast(departure_delay_24h as {{ featurestore.type_double() }}) / landings_24h as mean_departure_delay_24h,
    cast(departure_delay_7d as {{ featurestore.type_double() }}) / landings_7d as mean_departure_delay_7d,
    cast(departure_delay_30d as {{ featurestore.type_double() }}) / landings_30d as mean_departure_delay_30d,
    cast(arrival_delay_24h as {{ featurestore.type_double() }}) / landings_24h as mean_arrival_delay_24h,
    cast(arrival_delay_7d as {{ featurestore.type_double() }}) / landings_7d as mean_arrival_delay_7d,
    cast(arrival_delay_30d as {{ featurestore.type_double() }}) / landings_30d as mean_arrival_delay_30d,
    {{ featurestore.to_decimal('late_share_30d', 5, 4) }} as late_share_30d,
    cast(air_minutes_7d as bigint) as air_minutes_7d,
    arrival_delay as last_arrival_delay,
    cast(was_late = 1 as {{ dbt.type_boolean() }}) as last_arrival_was_late,
    cast(destination as {{ dbt.type_string() }}) as last_destination,
    cast(landed_at as date) as last_landed_on
from windows
where position_at_instant = 1
