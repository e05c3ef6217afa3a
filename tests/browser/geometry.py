"""Scripts that measure in the browser what a page has drawn, and find what lies where it should not."""

CHART_ENDS = """() => { const svg = document.querySelector('[data-testid=stVegaLiteChart] svg');
  const axes = [...svg.querySelectorAll('.role-axis')].map(axis => axis.getBoundingClientRect());
  return Math.max(...axes.map(box => box.bottom)); }"""
CHART_BEGINS = """() => document.querySelector(':is(.st-key-film, [data-testid=stVegaLiteChart])')
  .getBoundingClientRect().top"""
SIDEWAYS = """() => {
  const main = document.querySelector('[data-testid=stMain]');
  return main.scrollWidth - main.clientWidth; }"""
TOO_WIDE = """() => {
  const right = one => one.getBoundingClientRect().right;
  return [...document.querySelectorAll('[data-testid=stMain] table')]
    .filter(table => right(table) > right(table.closest('[data-testid=stMarkdownContainer]')) + 1)
    .map(table => table.innerText.slice(0, 40)); }"""
# Tables that can be swiped, without the shadows at their sides that say so.
WITHOUT_HINT = """() => [...document.querySelectorAll('[data-testid=stMain] table')]
  .filter(table => table.scrollWidth > table.clientWidth + 1
    && getComputedStyle(table).backgroundImage.split('gradient').length < 5)
  .map(table => table.innerText.slice(0, 40))"""
# A link in a sentence is as high as its line; a text field is as large as its frame.
SMALL_TARGETS = """() => [...document.querySelectorAll(
    '[data-testid=stMain] :is(button, a, summary, [role=radio])')]
  .filter(one => {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    return box.width && style.visibility !== 'hidden' && style.display !== 'inline'
      && Math.min(box.width, box.height) < 23.5; })
  .map(one => `${one.ariaLabel ?? one.innerText} ${one.getBoundingClientRect().width}`)"""

# Values of boxes that are wider than their box.
CUT_VALUES = """() => [...document.querySelectorAll(
    '.st-key-controls :is([data-testid=stSelectbox] input, [data-testid=stMultiSelectTagsContainer])')]
  .filter(one => one.scrollWidth > one.clientWidth + 1)
  .map(one => `${one.value ?? one.innerText} ${one.scrollWidth} ${one.clientWidth}`)"""

# ---- charts

SEEN_TEXT = """const texts = (root, query = 'text') => [...root.querySelectorAll(query)]
  .filter(t => t.textContent.trim() && +getComputedStyle(t).opacity > 0);
const charts = [...document.querySelectorAll('[data-testid=stVegaLiteChart] svg')];"""
# A rim and its words are one.
OVERLAPS = f"""() => {{ {SEEN_TEXT}
  const inner = b => [b.left + 1, b.right - 1, b.top + b.height / 5, b.bottom - b.height / 5];
  const meet = (a, b) => a[0] < b[1] && b[0] < a[1] && a[2] < b[3] && b[2] < a[3];
  return charts.flatMap(svg => {{
    const words = texts(svg).map(t => [t.textContent, inner(t.getBoundingClientRect())]);
    return words.flatMap(([said, box], i) => words.slice(i + 1)
      .filter(([other, there]) => other !== said && meet(box, there))
      .map(([other]) => `${{said}} / ${{other}}`));
  }}); }}"""
WITHOUT_NUMBERS = f"""() => {{ {SEEN_TEXT}
  return charts.flatMap(svg => [...svg.querySelectorAll('.role-axis')])
    .filter(axis => texts(axis, '.role-axis-title text').length
      && texts(axis, '.role-axis-label text').length < 2)
    .map(axis => axis.textContent); }}"""
# The words under the tool bar of their chart.
COVERED = f"""() => {{ {SEEN_TEXT}
  return charts.flatMap(svg => {{
    const frame = svg.closest('[data-testid=stFullScreenFrame]'), around = frame.getBoundingClientRect();
    const bar = frame.querySelector('[data-testid=stElementToolbar]')?.getBoundingClientRect();
    if (!bar) return [];
    const under = t => {{ const b = t.getBoundingClientRect();
      return b.left < bar.right - 2 && bar.left < b.right - 2
        && b.top + 3 < bar.bottom && bar.top < b.bottom - 3; }};
    const outside = bar.top < around.top || bar.bottom > around.bottom + 1;
    return [...texts(svg).filter(under).map(t => t.textContent), ...(outside ? ['outside'] : [])];
  }}); }}"""
# Pixels by which numbers of a linear axis stand off the place that the first and the last of them say.
OFF_SCALE = f"""() => {{ {SEEN_TEXT}
  const axes = charts.filter(svg => svg.closest('.st-key-stage'))
    .flatMap(svg => [...svg.querySelectorAll('.role-axis')]);
  return axes.map(axis => {{
    const found = texts(axis, '.role-axis-label text').map(label => {{
      const box = label.getBoundingClientRect();
      const value = +label.textContent.replace(',', '').replace('−', '-');
      return [value, box.left + box.width / 2, box.top + box.height / 2];
    }});
    if (found.length < 3 || found.some(([value]) => Number.isNaN(value))) return 0;
    const [first, last] = [found[0], found.at(-1)], size = last[0] - first[0];
    const along = Math.abs(last[1] - first[1]) > Math.abs(last[2] - first[2]) ? 1 : 2;
    return Math.max(...found.map(one => Math.abs(one[along] - first[along]
      - (one[0] - first[0]) / size * (last[along] - first[along]))));
  }}); }}"""
# Words inside a chart that a line or a point of the data passes through; those on maps have a rim.
STRUCK = f"""() => {{ {SEEN_TEXT}
  return charts.filter(svg => !svg.querySelector('.mark-rect')).flatMap(svg => {{
    const drawn = query => [...svg.querySelectorAll(query)];
    const places = drawn('.mark-line path').flatMap(line => {{
      const matrix = line.getScreenCTM(), parts = Math.ceil(line.getTotalLength() / 2);
      return Array.from({{length: parts}}, (_, i) => line.getPointAtLength(2 * i).matrixTransform(matrix));
    }});
    const points = drawn('.mark-symbol path').filter(one => +getComputedStyle(one).opacity > 0.5);
    places.push(...points.map(one => one.getBoundingClientRect())
      .map(box => ({{x: box.left + box.width / 2, y: box.top + box.height / 2}})));
    return texts(svg, '.mark-text text').filter(t => {{
      const box = t.getBoundingClientRect(), rim = box.height / 4;
      return places.some(({{x, y}}) => x > box.left + 1 && x < box.right - 1
        && y > box.top + rim && y < box.bottom - rim);
    }}).map(t => t.textContent);
  }}); }}"""
SMALL_MARKERS = """() => [...document.querySelectorAll('[data-testid=stVegaLiteChart] .mark-symbol path')]
  .filter(mark => +getComputedStyle(mark).opacity > 0.5)
  .map(mark => mark.getBoundingClientRect())
  .filter(box => box.width && Math.min(box.width, box.height) < 6).length"""
# The charts that share the height of the window, and their type.
STAGE = """() => {
  const size = one => parseFloat(getComputedStyle(one).fontSize);
  const charts = [...document.querySelectorAll('.st-key-stage [data-testid=stVegaLiteChart]')];
  const boxes = charts.map(chart => chart.getBoundingClientRect());
  const drawn = charts.map(chart => chart.querySelector('svg').getBoundingClientRect().height);
  return {root: size(document.documentElement), label: size(charts[0].querySelector('.role-axis-label text')),
    bottom: Math.max(...boxes.map(box => box.bottom)), height: Math.max(...boxes.map(box => box.height)),
    drawn: boxes.every((box, i) => Math.abs(drawn[i] - box.height) < 8)}; }"""
TYPE = """() => {
  const size = one => parseFloat(getComputedStyle(one).fontSize);
  const words = [...document.querySelectorAll('[data-testid=stMain] :is(p, label, button, h2, text)')]
    .filter(one => one.getBoundingClientRect().height);
  return [size(document.querySelector('h1')), Math.max(...words.map(size))]; }"""
