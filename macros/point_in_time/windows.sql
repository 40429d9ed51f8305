{#-
  The CTEs that answer for one view of aggregations: every asked instant beside the events of its longest window, and for each window an
  aggregate of those inside it. An event exactly as old as a window has left it.

  A window's answer may not depend on the order in which a warehouse adds. Floats are added as whole numbers of 2^-64, a standard
  deviation is told from deviations from the window's own mean, in parts of how far its values lie apart, and the last value is that of the
  greatest number in an order that leaves no choice. featurestore/sql/aggregates.py says the same at length.
-#}
{% macro _answer_of_windows(view, asked) -%}
  {%- set ctes, names = view.ctes, view.names -%}
  {%- set plan = featurestore._plan_of_windows(view) -%}
{{ ctes.asked }} as (

    {{ featurestore._asked_rows(view, asked) }}

),
{{ ctes.events }} as (

    {{ featurestore._known_rows(view, [], plan.inputs) }}
        and {{ featurestore.add_duration(featurestore._happened(view), plan.longest.window) }} > (select min({{ names.asked_at }}) from {{ ctes.asked }})

),
{{ ctes.windows }} as (

    select
        {{ featurestore._kept_columns(view, ctes.asked) | join(',\n        ') }},
        {{ plan.measures.values() | map(attribute='sql') | join(',\n        ') }}
    {{ featurestore._beside_events(view, plan) }}
    group by {{ featurestore._own_columns(view, ctes.asked) | join(', ') }}

),
{%- if plan.deviations %}
{{ ctes.means }} as (

    select
        {{ featurestore._kept_columns(view, ctes.windows) | join(',\n        ') }},
        {{ plan.deviations.values() | map(attribute='means') | join(',\n        ') }}
    from {{ ctes.windows }}

),
{{ ctes.deviations }} as (

    select
        {{ featurestore._kept_columns(view, ctes.asked) | join(',\n        ') }},
        {{ plan.deviations.values() | map(attribute='sql') | join(',\n        ') }}
    {{ featurestore._beside_events(view, plan) }}
    inner join {{ ctes.means }}
        on {{ featurestore._same_asked(view, ctes.means, ctes.asked) }}
    group by {{ featurestore._own_columns(view, ctes.asked) | join(', ') }}

),
{%- endif %}
{{ ctes.answer }} as (

    select
        {{ featurestore._kept_columns(view, ctes.windows) | join(',\n        ') }},
        {{ plan.answers | join(',\n        ') }}
    from {{ ctes.windows }}
    {%- if plan.deviations %}
    left join {{ ctes.deviations }}
        on {{ featurestore._same_asked(view, ctes.deviations, ctes.windows) }}
    {%- endif %}
    {%- for last in plan.lasts.values() %}
    left join {{ ctes.events }} as {{ last.source }}
        on {{ last.source }}.{{ last.version }} = {{ last.newest }}
        {%- for key in view.join_keys %}
        and {{ last.source }}.{{ key.quoted }} = {{ ctes.windows }}.{{ key.quoted }}
        {%- endfor %}
    {%- endfor %}

)
{%- endmacro %}


{#- Each asked instant with the events that its longest window holds. -#}
{% macro _beside_events(view, plan) -%}
  {%- set ctes, names = view.ctes, view.names -%}
from {{ ctes.asked }}
    inner join {{ ctes.events }}
        on {{ ctes.events }}.{{ names.known_at }} <= {{ ctes.asked }}.{{ names.asked_at }}
        and {{ ctes.events }}.{{ plan.untils[plan.longest.window_name] }} > {{ ctes.asked }}.{{ names.asked_at }}
        {%- for key in view.join_keys %}
        and {{ ctes.events }}.{{ key.quoted }} = {{ ctes.asked }}.{{ key.quoted }}
        {%- endfor %}
{%- endmacro %}


{% macro _same_asked(view, left, right) -%}
  {%- set same = [] -%}
  {%- for one in featurestore._own_columns(view, left) -%}
    {%- do same.append(one ~ ' = ' ~ featurestore._own_columns(view, right)[loop.index0]) -%}
  {%- endfor -%}
  {{ return(same | join(' and ')) }}
{%- endmacro %}


{#-
  What has to be worked out so that the features asked for can be said: inputs (columns of the events), measures (an aggregate of an
  input over a window), deviations, last values, and the answers, each as SQL.
-#}
{% macro _plan_of_windows(view) -%}
  {%- set taken = view.columns | map(attribute='name') | map('lower') | list -%}
  {%- set plan = {'view': view, 'inputs': [], 'named': {}, 'measures': {}, 'deviations': {}, 'lasts': {}, 'untils': {}, 'answers': []} -%}
  {%- do plan.update({'taken': taken, 'longest': view.features | map(attribute='aggregation') | sort(attribute='microseconds') | last}) -%}
  {%- for aggregation in [plan.longest] + view.requested | map(attribute='aggregation') | list -%}
    {%- if aggregation.window_name not in plan.untils -%}
      {%- set until = featurestore._plan_name(plan, 'until_' ~ aggregation.window_name) -%}
      {%- do plan.untils.update({aggregation.window_name: until}) -%}
      {%- do plan.inputs.append(featurestore.add_duration(featurestore._happened(view), aggregation.window) ~ ' as ' ~ until) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- for feature in view.requested -%}
    {%- do plan.answers.append(featurestore._answer_of_window(plan, feature.aggregation) ~ ' as ' ~ feature.quoted) -%}
  {%- endfor -%}
  {{ return(plan) }}
{%- endmacro %}


{#- A quoted name that nothing else in the plan has. -#}
{% macro _plan_name(plan, wanted) -%}
  {%- set name = featurestore._unused(wanted, plan.taken) -%}
  {%- do plan.taken.append(name | lower) -%}
  {{ return(featurestore._quoted(name)) }}
{%- endmacro %}


{#- The value of one feature, said by columns of measures, deviations and last values. -#}
{% macro _answer_of_window(plan, aggregation) -%}
  {%- set function = aggregation.function -%}
  {%- set bigint = featurestore.type_int64() -%}
  {%- if function == 'count' -%}
    {{ return('cast(' ~ featurestore._measure(plan, 'count', 'value', aggregation) ~ ' as ' ~ bigint ~ ')') }}
  {%- elif function == 'count_distinct' -%}
    {{ return('cast(' ~ featurestore._measure(plan, 'count_distinct', 'value', aggregation) ~ ' as ' ~ bigint ~ ')') }}
  {%- elif function in ('min', 'max') -%}
    {{ return(featurestore._measure(plan, function, 'ordered', aggregation)) }}
  {%- elif function == 'sum' -%}
    {{ return(featurestore._sum_of_window(plan, aggregation)) }}
  {%- elif function == 'avg' -%}
    {{ return(featurestore._mean_of_window(plan, aggregation)) }}
  {%- elif function == 'last' -%}
    {{ return(featurestore._last_of_window(plan, aggregation)) }}
  {%- endif -%}
  {{ return(featurestore._stddev_of_window(plan, aggregation)) }}
{%- endmacro %}


{% macro _sum_of_window(plan, aggregation) -%}
  {%- if featurestore._is_float(aggregation.column.data_type) -%}
    {{ return(featurestore._unless_unsummed(plan, aggregation, featurestore._units_summed(plan, aggregation))) }}
  {%- endif -%}
  {%- set total = featurestore._measure(plan, 'sum', 'value', aggregation) -%}
  {%- set scale = modules.re.match('^(?:decimal|numeric|number|bignumeric|dec)\\s*\\(\\s*\\d+\\s*,\\s*(\\d+)\\s*\\)', aggregation.column.data_type | lower) -%}
  {%- set type = featurestore.widest_decimal(scale.group(1)) if scale else featurestore.type_int64() -%}
  {{ return('cast(' ~ total ~ ' as ' ~ type ~ ')') }}
{%- endmacro %}


{% macro _mean_of_window(plan, aggregation) -%}
  {%- set double = featurestore.type_double() -%}
  {%- set number = 'nullif(cast(' ~ featurestore._measure(plan, 'count', 'value', aggregation) ~ ' as ' ~ double ~ '), cast(0 as ' ~ double ~ '))' -%}
  {%- if featurestore._is_float(aggregation.column.data_type) -%}
    {{ return(featurestore._unless_unsummed(plan, aggregation, featurestore._units_summed(plan, aggregation) ~ ' / ' ~ number)) }}
  {%- endif -%}
  {{ return('cast(' ~ featurestore._measure(plan, 'sum', 'value', aggregation) ~ ' as ' ~ double ~ ') / ' ~ number) }}
{%- endmacro %}


{#- The value of the event with the greatest number among those that have one. -#}
{% macro _last_of_window(plan, aggregation) -%}
  {%- set version = featurestore._input(plan, 'version', aggregation) -%}
  {%- set value = featurestore._input(plan, 'value', aggregation) -%}
  {%- set newest = featurestore._measure(plan, 'max', 'version', aggregation) -%}
  {%- if newest not in plan.lasts -%}
    {%- set source = featurestore._quoted(plan.view.prefix ~ '_last_' ~ (plan.lasts | length + 1)) -%}
    {%- do plan.lasts.update({newest: {'source': source, 'version': version, 'newest': newest}}) -%}
  {%- endif -%}
  {{ return(plan.lasts[newest].source ~ '.' ~ value) }}
{%- endmacro %}


{#- The sample's standard deviation: from a second look at the same events, once the first has told each window's mean and extent. -#}
{% macro _stddev_of_window(plan, aggregation) -%}
  {%- set double, ctes = featurestore.type_double(), plan.view.ctes -%}
  {%- set is_float = featurestore._is_float(aggregation.column.data_type) -%}
  {%- set number = featurestore._measure(plan, 'count', 'value', aggregation) -%}
  {%- set least = featurestore._measure(plan, 'min', 'value', aggregation) -%}
  {%- set most = featurestore._measure(plan, 'max', 'value', aggregation) -%}
  {%- set extent = 'cast(' ~ most ~ ' as ' ~ double ~ ') - cast(' ~ least ~ ' as ' ~ double ~ ')' -%}
  {%- if is_float -%}
    {%- set extent = 'case when ' ~ featurestore._measure(plan, 'max', 'unsummed', aggregation) ~ ' = 0 then ' ~ extent ~ ' end' -%}
  {%- endif -%}
  {%- if number not in plan.deviations -%}
    {%- set value = featurestore._input(plan, 'value', aggregation) -%}
    {%- set mean = featurestore._plan_name(plan, 'mean_' ~ aggregation.window_name) -%}
    {%- set apart = featurestore._plan_name(plan, 'extent_' ~ aggregation.window_name) -%}
    {%- set name = featurestore._plan_name(plan, 'deviation_' ~ aggregation.window_name) -%}
    {%- set away = '(cast(' ~ ctes.events ~ '.' ~ value ~ ' as ' ~ double ~ ') - ' ~ ctes.means ~ '.' ~ mean ~ ')' -%}
    {%- set share = '(' ~ away ~ ' / nullif(' ~ ctes.means ~ '.' ~ apart ~ ', cast(0 as ' ~ double ~ ')))' -%}
    {%- set parts = share ~ ' * ' ~ share ~ ' * ' ~ featurestore._double('1.152921504606847e18') -%}
    {%- set counted = 'cast(' ~ featurestore.whole_number(parts) ~ ' as ' ~ featurestore.wide_integer() ~ ')' -%}
    {%- set inside = ctes.events ~ '.' ~ plan.untils[aggregation.window_name] ~ ' > ' ~ ctes.asked ~ '.' ~ plan.view.names.asked_at -%}
    {%- do plan.deviations.update({number: {
      'means': featurestore._mean_of_window(plan, aggregation) ~ ' as ' ~ mean ~ ',\n        ' ~ extent ~ ' as ' ~ apart,
      'sql': 'sum(case when ' ~ inside ~ ' then ' ~ counted ~ ' end) as ' ~ name,
      'name': ctes.deviations ~ '.' ~ name,
    }}) -%}
  {%- endif -%}
  {%- set parts = 'coalesce(cast(' ~ plan.deviations[number].name ~ ' as ' ~ double ~ '), cast(0 as ' ~ double ~ '))' -%}
  {%- set variance = parts ~ ' / ' ~ featurestore._double('1.152921504606847e18') ~ ' / (cast(' ~ number ~ ' as ' ~ double ~ ') - cast(1 as ' ~ double ~ '))' -%}
  {%- set spread = '(' ~ extent ~ ') * sqrt(' ~ variance ~ ')' -%}
  {%- set spread = featurestore._unless_unsummed(plan, aggregation, spread) if is_float else spread -%}
  {{ return('case when ' ~ number ~ ' > 1 then ' ~ spread ~ ' end') }}
{%- endmacro %}


{% macro _units_summed(plan, aggregation) -%}
  {%- set units = featurestore._measure(plan, 'sum', 'units', aggregation) -%}
  {{ return('cast(' ~ units ~ ' as ' ~ featurestore.type_double() ~ ') / ' ~ featurestore._double('1.8446744073709552e19')) }}
{%- endmacro %}


{#- Not a number, where the window holds a value that is not finite or too large to be added exactly. -#}
{% macro _unless_unsummed(plan, aggregation, value) -%}
  {%- set unsummed = featurestore._measure(plan, 'max', 'unsummed', aggregation) -%}
  {{ return('case when ' ~ unsummed ~ ' = 1 then ' ~ featurestore._double('NaN') ~ ' else ' ~ value ~ ' end') }}
{%- endmacro %}


{#- An aggregate of an input over a window, as a column; worked out once, however many features need it. -#}
{% macro _measure(plan, total, kind, aggregation) -%}
  {%- set input = featurestore._input(plan, kind, aggregation) -%}
  {%- set identity = [total, input, aggregation.window_name] | join(' ') -%}
  {%- if identity not in plan.measures -%}
    {%- set ctes = plan.view.ctes -%}
    {%- set name = featurestore._plan_name(plan, [aggregation.label, kind if kind != 'value' else none, total, aggregation.window_name] | select | join('_')) -%}
    {%- set value = ctes.events ~ '.' ~ input -%}
    {%- if aggregation.window_name != plan.longest.window_name -%}
      {%- set inside = ctes.events ~ '.' ~ plan.untils[aggregation.window_name] ~ ' > ' ~ ctes.asked ~ '.' ~ plan.view.names.asked_at -%}
      {%- set value = 'case when ' ~ inside ~ ' then ' ~ value ~ ' end' -%}
    {%- endif -%}
    {%- set call = 'count(distinct ' ~ value ~ ')' if total == 'count_distinct' else total ~ '(' ~ value ~ ')' -%}
    {%- do plan.measures.update({identity: {'name': ctes.windows ~ '.' ~ name, 'sql': call ~ ' as ' ~ name}}) -%}
  {%- endif -%}
  {{ return(plan.measures[identity].name) }}
{%- endmacro %}


{#- A column of the events: what an event brings to an aggregation, or null where it takes no part. -#}
{% macro _input(plan, kind, aggregation) -%}
  {%- set column = aggregation.column -%}
  {%- set kind = 'value' if kind == 'ordered' and not (column and featurestore._is_text(column.data_type)) else kind -%}
  {%- set identity = [kind, column.name if column else '', aggregation.filter or ''] | join('\n') -%}
  {%- if identity not in plan.named -%}
    {%- set name = featurestore._plan_name(plan, aggregation.label ~ '_' ~ kind) -%}
    {%- do plan.named.update({identity: name}) -%}
    {%- do plan.inputs.append(featurestore._input_expression(plan.view, kind, column, aggregation.filter) ~ ' as ' ~ name) -%}
  {%- endif -%}
  {{ return(plan.named[identity]) }}
{%- endmacro %}


{% macro _input_expression(view, kind, column, filter) -%}
  {%- set conditions = ['(' ~ filter ~ ')'] if filter else [] -%}
  {%- if not column -%}
    {%- set value = '1' -%}
  {%- elif kind == 'ordered' -%}
    {%- set value = featurestore._text_in_order(column.quoted, column.data_type) -%}
  {%- elif kind == 'units' -%}
    {%- do conditions.append('abs(' ~ column.quoted ~ ') < 4398046511104') -%}
    {%- set value = featurestore.float_units('cast(' ~ column.quoted ~ ' as ' ~ featurestore.type_double() ~ ')') -%}
  {%- elif kind == 'unsummed' -%}
    {%- do conditions.append(column.quoted ~ ' is not null') -%}
    {%- set value = 'case when abs(' ~ column.quoted ~ ') < 4398046511104 then 0 else 1 end' -%}
  {%- elif kind == 'version' -%}
    {%- do conditions.append(column.quoted ~ ' is not null') -%}
    {%- set value = featurestore._place_among_events(view, column) -%}
  {%- else -%}
    {%- set value = featurestore.nullable(column.quoted, column.data_type) -%}
  {%- endif -%}
  {{ return('case when ' ~ conditions | join(' and ') ~ ' then ' ~ value ~ ' end' if conditions else value) }}
{%- endmacro %}


{#- The number of an event in its key's order by timestamp, created timestamp and value, the greatest number first to count. -#}
{% macro _place_among_events(view, column) -%}
  {%- set keys = [] -%}
  {%- for key in view.join_keys -%}
    {%- do keys.append(featurestore._key_value(key.quoted, key.data_type)) -%}
  {%- endfor -%}
  {%- set order = [featurestore._greatest_first(featurestore._happened(view))] -%}
  {%- if view.created_timestamp -%}
    {%- do order.append(featurestore._greatest_first(featurestore.as_utc(view.created_timestamp.quoted, view.created_timestamp.data_type))) -%}
  {%- endif -%}
  {%- for value in featurestore._tie_values(column.quoted, column.data_type) -%}
    {%- do order.append(featurestore._greatest_first(value)) -%}
  {%- endfor -%}
  {{ return('-row_number() over (partition by ' ~ keys | join(', ') ~ ' order by ' ~ order | join(', ') ~ ')') }}
{%- endmacro %}


{% macro _is_float(data_type) -%}
  {{ return(modules.re.match('(double|float|real)', data_type | lower) is not none) }}
{%- endmacro %}


{% macro _double(text) -%}
  {{ return("cast('" ~ text ~ "' as " ~ featurestore.type_double() ~ ')') }}
{%- endmacro %}
