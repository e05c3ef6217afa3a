// Three nets learn the spirals: frames that were trained before, played once by the browser, at a chosen scale of the
// first weights. Whoever asks for less motion sees the end, and plays the film by the button.
const SECONDS = 7, DOT = 0.016, INK = ['#004B78', '#8F3F00'];

export default function({ data, parentElement }) {
  const root = parentElement.querySelector('.film');
  if (root.started) return;
  root.started = true;
  const nets = root.querySelector('.nets'), slider = root.querySelector('input'), said = root.querySelector('output');
  const button = root.querySelector('button'), last = data.steps.length - 1, sheet = new Image();
  let began = 0, at = 0, running = false;
  slider.max = data.scales.length - 1;
  slider.value = data.scales.indexOf(1);

  const panels = data.names.map(name => {
    const figure = document.createElement('figure'), canvas = document.createElement('canvas');
    const caption = document.createElement('figcaption'), title = document.createElement('b');
    const status = document.createElement('span');
    canvas.width = canvas.height = 320;
    canvas.setAttribute('role', 'img');
    title.textContent = name;
    caption.append(title, status);
    figure.append(canvas, caption);
    nets.append(figure);
    return {name, canvas, status, pen: canvas.getContext('2d')};
  });

  const draw = () => {
    const scale = +slider.value, frame = Math.min(Math.floor(at), last), next = Math.min(frame + 1, last);
    const step = Math.round(data.steps[frame] + (at - frame) * (data.steps[next] - data.steps[frame]));
    panels.forEach(({name, canvas, status, pen}, net) => {
      const size = canvas.width, blew = data.diverged[scale][net], gone = blew >= 0 && step >= blew;
      const cell = (column, alpha) => {
        pen.globalAlpha = alpha;
        const top = (scale * data.names.length + net) * data.side;  // half a pixel inside: neighbours do not shine in
        pen.drawImage(sheet, column * data.side + 0.5, top + 0.5, data.side - 1, data.side - 1, 0, 0, size, size);
      };
      cell(gone ? 0 : frame, 1);
      if (!gone && next > frame && !(blew >= 0)) cell(next, at - frame);
      pen.globalAlpha = gone ? 0.75 : 1;
      if (gone) { pen.fillStyle = '#303030'; pen.fillRect(0, 0, size, size); }
      pen.globalAlpha = 1;
      data.points.forEach(([x, y], i) => {
        pen.beginPath();
        pen.arc(x * size, (1 - y) * size, DOT * size, 0, 7);
        pen.fillStyle = INK[data.labels[i]];
        pen.fill();
        pen.lineWidth = 1.5;
        pen.strokeStyle = 'white';
        pen.stroke();
      });
      const right = Math.round(100 * data.accuracy[scale][net][frame]);
      const words = gone ? `blew up at step ${blew}` : `${right} % right`;
      if (status.textContent !== words) status.textContent = words;
      canvas.setAttribute('aria-label', `${name}, after ${step.toLocaleString('en')} steps: ${words}`);
    });
    said.textContent = `weights ×${data.scales[scale]} · step ${step.toLocaleString('en')}`;
  };
  const tick = now => {
    if (!running || !root.isConnected) return;
    began = began || now;
    at = Math.min((now - began) / 1000 / SECONDS * last, last);
    draw();
    running = at < last;
    if (running) requestAnimationFrame(tick);
  };
  const play = () => {
    const idle = !running;
    [began, at, running] = [0, 0, true];
    if (idle) requestAnimationFrame(tick);
  };
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const show = () => { if (still) { at = last; draw(); } else play(); };
  slider.addEventListener('input', show);
  button.addEventListener('click', play);
  sheet.onload = show;
  sheet.src = data.sheet;
  return () => { running = false; };
}
