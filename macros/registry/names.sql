{#- A name as SQL takes it, whatever characters it has. -#}
{% macro _quoted(name) -%}
  {%- set mark = adapter.quote('x')[-1] -%}
  {{ return(adapter.quote(name | replace(mark, mark ~ mark))) }}
{%- endmacro %}


{#- `name`, or `name_2`, `name_3`, … where that is taken. `taken` is in lower case, as most warehouses compare names. -#}
{% macro _unused(name, taken) -%}
  {%- set found = namespace(name=name) -%}
  {%- for number in range(2, taken | length + 2) if found.name | lower in taken -%}
    {%- set found.name = name ~ '_' ~ number -%}
  {%- endfor -%}
  {{ return(found.name) }}
{%- endmacro %}


{#- The one of `names` that a text means: spelled alike, else the only one that differs from it in nothing but case, else none. -#}
{% macro _spelled(name, names) -%}
  {%- if name in names -%}
    {{ return(name) }}
  {%- endif -%}
  {%- set found = [] -%}
  {%- for candidate in names if candidate | lower == name | lower -%}
    {%- do found.append(candidate) -%}
  {%- endfor -%}
  {{ return(found[0] if found | length == 1 else none) }}
{%- endmacro %}


{#- A sentence that names the nearest valid word, or lists the few there are; empty when nothing helps. -#}
{% macro _did_you_mean(word, known) -%}
  {%- set wanted = featurestore._pairs(word) -%}
  {%- set best = namespace(likeness=0.5, word='') -%}
  {%- for candidate in known | sort -%}
    {%- set pairs = featurestore._pairs(candidate) -%}
    {%- set likeness = 2 * (wanted | select('in', pairs) | list | length) / (wanted | length + pairs | length) -%}
    {%- if likeness > best.likeness -%}
      {%- set best.likeness = likeness -%}
      {%- set best.word = candidate -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if best.word -%}
    {{ return(" Did you mean '" ~ best.word ~ "'?") }}
  {%- elif 0 < known | length <= 12 -%}
    {{ return(' There is: ' ~ known | sort | join(', ') ~ '.') }}
  {%- endif -%}
  {{ return('') }}
{%- endmacro %}


{#- Each two letters that follow each other: words that share many of them look alike (Dice's coefficient). -#}
{% macro _pairs(word) -%}
  {%- set text = '^' ~ word | lower ~ '$' -%}
  {%- set pairs = [] -%}
  {%- for at in range(text | length - 1) -%}
    {%- do pairs.append(text[at:at + 2]) -%}
  {%- endfor -%}
  {{ return(pairs) }}
{%- endmacro %}
