{#-
  The CTEs that answer for one view, the last of which, `<view>_answer`, has a row for each entity key and instant that sees one.

  The answer is found from keys and timestamps alone, and only then are features read. At each asked instant the newest row known is the
  one with the greatest timestamp (`seen`); of several rows that share it, the one that was written last, then the one with the greatest
  values, feature by feature (`found`). That order leaves no choice to the warehouse.
-#}
{% macro _answer_of_view(view, asked) -%}
  {%- set ctes, names = view.ctes, view.names -%}
{{ ctes.asked }} as (

    {{ featurestore._asked_rows(view, asked) }}

),
{{ ctes.known }} as (

    {{ featurestore._known_rows(view, []) }}

),
{{ featurestore._newest_of_those_valid(view) if view.overlaps else featurestore._newest_so_far(view) }},
{{ ctes.history }} as (

    {{ featurestore._known_rows(view, view.features or view.requested) }}

),
{{ ctes.found }} as (

    select
        {{ featurestore._kept_columns(view, ctes.seen) | join(',\n        ') }},
        {%- for feature in view.requested %}
        {{ featurestore.nullable(ctes.history ~ '.' ~ feature.quoted, feature.data_type) }} as {{ feature.quoted }},
        {%- endfor %}
        row_number() over (
            partition by
                {{ featurestore._own_columns(view, ctes.seen) | join(',\n                ') }}
            order by
                {{ featurestore._order_among_equals(view, ctes.history) | join(',\n                ') }}
        ) as {{ names.place }}
    from {{ ctes.seen }}
    inner join {{ ctes.history }}
        on {{ ctes.history }}.{{ names.happened_at }} = {{ ctes.seen }}.{{ names.newest }}
        {%- for key in view.join_keys %}
        and {{ ctes.history }}.{{ key.quoted }} = {{ ctes.seen }}.{{ key.quoted }}
        {%- endfor %}
    where {{ featurestore._conditions_of_asking(view, ctes.seen, ctes.history) | join('\n        and ') }}

),
{{ ctes.answer }} as (

    select * from {{ ctes.found }} where {{ names.place }} = 1

)
{%- endmacro %}


{#- Each entity key and instant that the spine asks about, once. -#}
{% macro _asked_rows(view, asked) -%}
select distinct
        {%- for key in view.join_keys %}
        {{ featurestore._spine_key(asked, key, asked.cte) }} as {{ key.quoted }},
        {%- endfor %}
        {{ featurestore._spine_instant(asked, asked.cte) }} as {{ view.names.asked_at }}
    from {{ asked.cte }}
    where {{ asked.cte }}.{{ asked.timestamp.quoted }} is not null
    {%- for key in view.join_keys %}
        and {{ asked.cte }}.{{ featurestore._quoted(view.spine_keys[key.name].name) }} is not null
    {%- endfor %}
{%- endmacro %}


{#- The event timestamp of a row of the view itself. -#}
{% macro _happened(view) -%}
  {{ return(featurestore.as_utc(view.timestamp.quoted, view.timestamp.data_type)) }}
{%- endmacro %}


{#-
  The rows of a view that can be anybody's answer: keys, timestamps as UTC, those features, and `more`, each `expression as name`.

  A row without a key or a timestamp is nobody's, one that records a deletion has no values, and one that ends before it is known never
  counts.
-#}
{% macro _known_rows(view, features, more=[]) -%}
  {%- set names = view.names -%}
  {%- set happened = featurestore._happened(view) -%}
  {%- set available = featurestore.add_duration(happened, view.available_after) if view.available_after else happened -%}
  {%- set written = featurestore.as_utc(view.created_timestamp.quoted, view.created_timestamp.data_type) if view.created_timestamp -%}
  {%- set ends = featurestore.as_utc(view.valid_to.quoted, view.valid_to.data_type) if view.valid_to -%}
  {%- set known = 'case when ' ~ written ~ ' > ' ~ available ~ ' then ' ~ written ~ ' else ' ~ available ~ ' end' if view.as_known else available -%}
select
        {%- for key in view.join_keys %}
        {{ featurestore._key_value(key.quoted, key.data_type) }} as {{ key.quoted }},
        {%- endfor %}
        {{ happened }} as {{ names.happened_at }},
        {{ known }} as {{ names.known_at }}
        {%- if view.created_timestamp %},
        {{ written }} as {{ names.written_at }}
        {%- endif -%}
        {%- if view.valid_to %},
        {{ ends }} as {{ names.ends_at }}
        {%- endif -%}
        {%- for feature in features %},
        {{ feature.quoted }}
        {%- endfor -%}
        {%- for expression in more %},
        {{ expression }}
        {%- endfor %}
    from {{ view.relation }}
    where {{ view.timestamp.quoted }} is not null
        {%- for key in view.join_keys %}
        and {{ key.quoted }} is not null
        {%- endfor %}
        {%- if view.is_deleted %}
        and coalesce(lower({{ featurestore._text_of(view.is_deleted.quoted, '') }}), 'false') <> 'true'
        {%- endif %}
        {%- if view.valid_to %}
        and ({{ view.valid_to.quoted }} is null or {{ ends }} > {{ known }})
        {%- endif %}
{%- endmacro %}


{#- Both sides in one timeline for each key, and the greatest timestamp so far along it. Equality counts, so at one instant rows come first. -#}
{% macro _newest_so_far(view) -%}
  {%- set ctes, names = view.ctes, view.names -%}
  {%- set keys = view.join_keys | map(attribute='quoted') | join(', ') -%}
{{ ctes.timeline }} as (

    select {{ keys }}, {{ names.known_at }} as {{ names.asked_at }}, {{ names.happened_at }}, 0 as {{ names.is_asked }}
    from {{ ctes.known }}
    union all
    select {{ keys }}, {{ names.asked_at }}, null, 1
    from {{ ctes.asked }}

),
{{ ctes.seen }} as (

    select
        {{ keys }},
        {{ names.asked_at }},
        {{ names.is_asked }},
        max({{ names.happened_at }}) over (
            partition by {{ keys }}
            order by {{ names.asked_at }}, {{ names.is_asked }}
            rows between unbounded preceding and current row
        ) as {{ names.newest }}
    from {{ ctes.timeline }}

)
{%- endmacro %}


{#-
  Where rows of one key may be valid at the same time, a newer row does not end an older one, and when it ends the older one counts again:
  no timeline finds that, so every row that is valid at the asked instant is looked at.
-#}
{% macro _newest_of_those_valid(view) -%}
  {%- set ctes, names = view.ctes, view.names -%}
{{ ctes.seen }} as (

    select
        {{ featurestore._kept_columns(view, ctes.asked) | join(',\n        ') }},
        1 as {{ names.is_asked }},
        max({{ ctes.known }}.{{ names.happened_at }}) as {{ names.newest }}
    from {{ ctes.asked }}
    inner join {{ ctes.known }}
        on {{ ctes.known }}.{{ names.known_at }} <= {{ ctes.asked }}.{{ names.asked_at }}
        {%- for key in view.join_keys %}
        and {{ ctes.known }}.{{ key.quoted }} = {{ ctes.asked }}.{{ key.quoted }}
        {%- endfor %}
    where {{ ctes.known }}.{{ names.ends_at }} is null or {{ ctes.asked }}.{{ names.asked_at }} < {{ ctes.known }}.{{ names.ends_at }}
    group by {{ featurestore._own_columns(view, ctes.asked) | join(', ') }}

)
{%- endmacro %}


{#- What has to hold, besides key and timestamp, for a row of the history to be the answer at an asked instant. -#}
{% macro _conditions_of_asking(view, seen, history) -%}
  {%- set names = view.names -%}
  {%- set asked_at = seen ~ '.' ~ names.asked_at -%}
  {%- set conditions = [seen ~ '.' ~ names.is_asked ~ ' = 1'] -%}
  {%- if view.as_known -%}
    {%- do conditions.append(history ~ '.' ~ names.known_at ~ ' <= ' ~ asked_at) -%}
  {%- endif -%}
  {%- if view.valid_to -%}
    {%- set ends = history ~ '.' ~ names.ends_at -%}
    {%- do conditions.append('(' ~ ends ~ ' is null or ' ~ asked_at ~ ' < ' ~ ends ~ ')') -%}
  {%- endif -%}
  {%- if view.ttl -%}
    {%- do conditions.append(featurestore.add_duration(history ~ '.' ~ names.happened_at, view.ttl) ~ ' >= ' ~ asked_at) -%}
  {%- endif -%}
  {{ return(conditions) }}
{%- endmacro %}


{#- Of rows with one timestamp the winner first: written last, then with the greatest values, then ending last. -#}
{% macro _order_among_equals(view, history) -%}
  {%- set order = [] -%}
  {%- if view.created_timestamp -%}
    {%- do order.append(featurestore._greatest_first(history ~ '.' ~ view.names.written_at)) -%}
  {%- endif -%}
  {%- for feature in view.features or view.requested -%}
    {%- for value in featurestore._tie_values(history ~ '.' ~ feature.quoted, feature.data_type) -%}
      {%- do order.append(featurestore._greatest_first(value)) -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- if view.valid_to -%}
    {%- set ends = history ~ '.' ~ view.names.ends_at -%}
    {%- do order.append('case when ' ~ ends ~ ' is null then 1 else 0 end desc') -%}
    {%- do order.append(ends ~ ' desc') -%}
  {%- endif -%}
  {{ return(order) }}
{%- endmacro %}
