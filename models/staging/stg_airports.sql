select
    faa as airport,
    name as airport_name,
    tzone as time_zone
from {{ ref('airports') }}

-- The source leaves out four destinations outside the fifty states.
union all
select 'BQN', 'Rafael Hernandez Airport', 'America/Puerto_Rico'
union all
select 'PSE', 'Mercedita Airport', 'America/Puerto_Rico'
union all
select 'SJU', 'Luis Munoz Marin International Airport', 'America/Puerto_Rico'
union all
select 'STT', 'Cyril E. King Airport', 'America/St_Thomas'
