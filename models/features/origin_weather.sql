select
    origin,
    observed_hour,
    temperature,
    dew_point,
    humidity,
    wind_direction,
    wind_speed,
    wind_gust,
    precipitation,
    pressure,
    visibility,
    cast(temperature <= 32 as {{ dbt.type_boolean() }}) as is_freezing,
    cast(
        case
            when precipitation > 0 and temperature <= 32 then 'snow'
            when precipitation > 0 then 'rain'
            when visibility < 1 then 'fog'
            else 'dry'
        end as {{ dbt.type_string() }}
    ) as conditions
from {{ ref('stg_weather') }}
