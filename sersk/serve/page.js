// Gradio's player refuses what a browser does not call audio, such as .webm, .mp4, .3gp and .caf. So every file is
// given to it as audio; the service tells by the content.
(() => {
  const chooser = target => target.matches?.("#audio input[type=file]");
  const give = (input, files) => {
    const audio = new DataTransfer();
    for (const file of files) audio.items.add(new File([file], file.name, { type: "audio/*" }));
    input.files = audio.files;
  };
  window.addEventListener("click", ({ target }) => { if (chooser(target)) target.accept = "KINDS"; }, true);
  window.addEventListener("change", ({ target }) => { if (chooser(target)) give(target, target.files); }, true);
  window.addEventListener("drop", event => {
    const input = event.target.closest?.("#audio")?.querySelector("input[type=file]");
    if (!input || !event.dataTransfer.files.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    give(input, event.dataTransfer.files);
    input.dispatchEvent(new Event("change"));
  }, true);
})();
