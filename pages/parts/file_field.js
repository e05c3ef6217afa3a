// A field for one file. The browser reads it and sends its bytes once, so that neither side keeps them.
export default function({ data, parentElement, setTriggerValue }) {
  const input = parentElement.querySelector('input'), said = parentElement.querySelector('output');
  said.textContent = '';
  input.onchange = () => {
    const file = input.files[0];
    if (!file) return;
    const most = /\.json$/i.test(file.name) ? data.report : data.weights;
    const reader = new FileReader();
    if (file.size > most) {
      said.textContent = `This file has ${(file.size / 1e6).toFixed(1)} MB; at most ${most / 1e6} MB are read.`;
    } else {
      said.textContent = 'Reading …';
      reader.onload = () => {
        said.textContent = '';
        setTriggerValue('file', {name: file.name, content: reader.result});
      };
      reader.onerror = () => { said.textContent = 'The browser cannot read this file.'; };
      reader.readAsDataURL(file);
    }
    input.value = '';  // the same file may be opened again
  };
}
