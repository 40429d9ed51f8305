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
        row_number() over (
            partition by tailnum, landed_at
            order by scheduled_departure_at desc, carrier, flight_number
        ) as position_at_instant
    from {{ ref('stg_flights') }}
    where tailnum is not null and landed_at is not null

),

-- Every window ends at the row's own landing and holds finished flights only, that one included.
windows as (

    select
        *,
        count(*) over last_24h as landings_24h,
        count(*) over last_7d as landings_7d,
        count(*) over last_30d as landings_30d,
        avg(departure_delay) over last_24h as mean_departure_delay_24h,
        avg(departure_delay) over last_7d as mean_departure_delay_7d,
        avg(departure_delay) over last_30d as mean_departure_delay_30d,
        avg(arrival_delay) over last_24h as mean_arrival_delay_24h,
        avg(arrival_delay) over last_7d as mean_arrival_delay_7d,
        avg(arrival_delay) over last_30d as mean_arrival_delay_30d,
        avg(was_late) over last_30d as late_share_30d,
        sum(air_minutes) over last_7d as air_minutes_7d
    from landings
    window
        last_24h as (partition by tailnum order by landed_at range between interval '24 hours' preceding and current row),
        last_7d as (partition by tailnum order by landed_at range between interval '7 days' preceding and current row),
        last_30d as (partition by tailnum order by landed_at range between interval '30 days' preceding and current row)

)

select
    tailnum,
    landed_at,
    loaded_at,
    cast(landings_24h as integer) as landings_24h,
    cast(landings_7d as integer) as landings_7d,
    cast(landings_30d as integer) as landings_30d,
    cast(mean_departure_delay_24h as double precision) as mean_departure_delay_24h,
    cast(mean_departure_delay_7d as double precision) as mean_departure_delay_7d,
    cast(mean_departure_delay_30d as double precision) as mean_departure_delay_30d,
    cast(mean_arrival_delay_24h as double precision) as mean_arrival_delay_24h,
    cast(mean_arrival_delay_7d as double precision) as mean_arrival_delay_7d,
    cast(mean_arrival_delay_30d as double precision) as mean_arrival_delay_30d,
    cast(late_share_30d as decimal(5, 4)) as late_share_30d,
    cast(air_minutes_7d as bigint) as air_minutes_7d,
    arrival_delay as last_arrival_delay,
    was_late = 1 as last_arrival_was_late,
    cast(destination as varchar) as last_destination,
    cast(landed_at as date) as last_landed_on
from windows
where position_at_instant = 1
