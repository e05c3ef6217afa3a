// Buttons that save every chart of the page as PNG and SVG, as the browser shows it.
export default function({ data, parentElement }) {
  const list = parentElement.querySelector('.charts');
  const charts = [...document.querySelectorAll('[data-testid=stMain] svg.marks')];
  const ending = number => charts.length > 1 ? `-${number + 1}` : '';
  const save = (url, name) => { const a = document.createElement('a'); a.href = url; a.download = name; a.click(); };
  const drawn = chart => { const svg = chart.cloneNode(true); svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
                           return new XMLSerializer().serializeToString(svg); };
  const png = (chart, name) => { const image = new Image(), box = chart.getBoundingClientRect();
    image.onload = () => { const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [2 * box.width, 2 * box.height];
      const pen = canvas.getContext('2d');
      pen.fillStyle = getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor;
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(image, 0, 0, canvas.width, canvas.height);
      save(canvas.toDataURL('image/png'), name); };
    image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(drawn(chart)); };
  const svg = (chart, name) => save(URL.createObjectURL(new Blob([drawn(chart)], {type: 'image/svg+xml'})), name);
  list.replaceChildren(...charts.map((chart, number) => {
    const row = document.createElement('div'), said = document.createElement('span');
    said.textContent = chart.closest('[aria-label]')?.getAttribute('aria-label') ?? '';
    for (const [kind, write] of [['png', png], ['svg', svg]]) {
      const button = document.createElement('button');
      button.textContent = kind.toUpperCase(); button.ariaLabel = `${kind.toUpperCase()} of ${said.textContent}`;
      button.onclick = () => write(chart, `${data.name}${ending(number)}.${kind}`);
      row.append(button);
    }
    row.append(said);
    return row;
  }));
}
