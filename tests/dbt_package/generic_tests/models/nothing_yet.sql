select * from {{ ref('source_rows') }} where false
