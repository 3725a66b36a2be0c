// An open conversation: refreshes itself, tells what was seen, shows earlier texts, and counts what is being written.
// Texts come as the server's own escaped markup; nothing a patient wrote is made into markup here.
"use strict";

(() => {
    const EVERY = 4000;
    const NEAR = 80;
    const segment = (count) => `${count} segment${count === 1 ? "" : "s"}`;

    function token() {
        const field = document.querySelector("#thread input[name=csrfmiddlewaretoken]");
        return field ? field.value : "";
    }

    function parsed(html) {
        const made = document.createElement("template");
        made.innerHTML = html;
        return made.content.querySelector(".thread-block");
    }

    // A day that goes on in the next block is named once.
    function nameDaysOnce(scroll) {
        let last = "";
        for (const day of scroll.querySelectorAll(".thread-day")) {
            day.hidden = day.dataset.day === last;
            last = day.dataset.day;
        }
    }

    // The person may opt out, or sending be paused, while somebody writes: what is typed already is theirs to keep.
    function tellWhetherToWrite(cannot) {
        const told = document.getElementById("thread-cannot");
        const form = document.getElementById("thread-write");
        if (!told || !form) return;
        told.textContent = cannot;
        told.hidden = !cannot;
        form.hidden = Boolean(cannot) && !document.getElementById("thread-body").value.trim();
        form.tell();
    }

    function watch(thread, scroll) {
        const newest = document.getElementById("thread-newest");
        let shown = newest.innerHTML;
        const block = () => newest.querySelector(".thread-block");
        const atEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR;
        const toEnd = () => { scroll.scrollTop = scroll.scrollHeight; };

        async function tellSeen() {
            const until = block().dataset.until;
            if (!thread.dataset.seen || !until || document.hidden || until === tellSeen.told) return;
            tellSeen.told = until;
            const body = new URLSearchParams({ until });
            await fetch(thread.dataset.seen, { method: "POST", body, headers: { "X-CSRFToken": token() } }).catch(() => { tellSeen.told = ""; });
        }

        async function refresh() {
            const first = block().dataset.first;
            const answer = await fetch(`${thread.dataset.texts}${first ? `?since=${first}` : ""}`, { cache: "no-store" });
            if (!answer.ok || answer.redirected) return;
            const html = await answer.text();
            const fresh = parsed(html);
            if (!fresh || html.trim() === shown.trim()) return;
            const follow = atEnd();
            shown = html;
            // What stands before was not asked for: it is shown already, or a link leads to it.
            const earlier = newest.querySelector(".thread-earlier");
            if (first) fresh.querySelector(".thread-earlier")?.remove();
            if (first && earlier) fresh.prepend(earlier);
            newest.replaceChildren(fresh);
            nameDaysOnce(scroll);
            for (const name of ["until", "shown"]) {
                for (const field of document.querySelectorAll(`#thread input[data-${name}]`)) field.value = fresh.dataset[name];
            }
            const settle = document.getElementById("thread-settle");
            if (settle) settle.hidden = !("waits" in fresh.dataset);
            tellWhetherToWrite(fresh.dataset.cannot);
            if (follow) toEnd();
            await tellSeen();
        }

        async function showEarlier(link) {
            const place = new URL(link.href).search;
            const answer = await fetch(`${thread.dataset.texts}${place}`, { cache: "no-store" });
            const older = answer.ok ? parsed(await answer.text()) : null;
            if (!older) { location.assign(link.href); return; }
            const height = scroll.scrollHeight;
            link.parentElement.remove();
            scroll.prepend(older);
            nameDaysOnce(scroll);
            scroll.scrollTop += scroll.scrollHeight - height;
        }

        scroll.addEventListener("click", (event) => {
            const link = event.target.closest("a[data-earlier]");
            if (!link) return;
            event.preventDefault();
            showEarlier(link).catch(() => location.assign(link.href));
        });
        toEnd();
        if ("still" in thread.dataset) return;
        tellSeen();
        setInterval(() => document.hidden || refresh().catch(() => {}), EVERY);
        document.addEventListener("visibilitychange", () => document.hidden || refresh().then(tellSeen).catch(() => {}));
    }

    // As the server counts (messaging/words/segments.py), with the server's own tables.
    function measured(typed, tables) {
        const written = typed.replace(/\r\n?/g, "\n").trim();
        const made = [...written].map((char) => tables.plain[char] ?? char).join("");
        const fits = [...made].every((char) => tables.basic.includes(char) || tables.extension.includes(char));
        const body = fits ? made : written;
        const encoding = fits ? "GSM-7" : "UCS-2";
        const sizes = [...body].map((char) => (fits ? (tables.extension.includes(char) ? 2 : 1) : char.length));
        const units = sizes.reduce((sum, size) => sum + size, 0);
        let segments = 1;
        if (units > tables.alone[encoding]) {
            let used = 0;
            for (const size of sizes) {
                if (used + size > tables.parts[encoding]) { segments += 1; used = 0; }
                used += size;
            }
        }
        return { body, encoding, units, segments, characters: [...body].length };
    }

    function sizeInWords(size, tables) {
        if (!size.characters) return "";
        if (size.characters > tables.longest) {
            return `Too long by ${size.characters - tables.longest} characters: send it as two texts.`;
        }
        const room = size.segments === 1 ? tables.alone[size.encoding] : size.segments * tables.parts[size.encoding];
        const why = size.encoding === "UCS-2" ? " (UCS-2, for its emoji or special letters)" : " (GSM-7)";
        const cost = tables.price === null ? "" : ` It costs ${(size.segments * Number(tables.price)).toFixed(4)} ${tables.currency}.`;
        return `${segment(size.segments)}${why}, ${size.units} of ${room} used.${cost}`;
    }

    function count(form) {
        const body = document.getElementById("thread-body");
        const told = document.getElementById("thread-size");
        const send = document.getElementById("thread-send");
        const tables = JSON.parse(document.getElementById("thread-counting").textContent);
        const tell = () => {
            const size = measured(body.value, tables);
            told.textContent = sizeInWords(size, tables);
            const cannot = !document.getElementById("thread-cannot").hidden;
            send.disabled = cannot || !size.characters || size.characters > tables.longest;
            body.style.height = "auto";
            body.style.height = `${Math.min(body.scrollHeight + 2, 220)}px`;
        };
        body.addEventListener("input", tell);
        body.addEventListener("keydown", (event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); if (!send.disabled) form.requestSubmit(send); }
        });
        form.addEventListener("submit", (event) => {
            if (form.dataset.sending) { event.preventDefault(); return; }
            form.dataset.sending = "yes";
            send.textContent = "Sending…";
        });
        // A page that the browser brings back is no longer sending.
        addEventListener("pageshow", () => { delete form.dataset.sending; send.textContent = "Send"; tell(); });
        tell();
        form.tell = tell;
        form.measured = (text) => measured(text, tables);
        if (matchMedia("(min-width: 800px)").matches) body.focus({ preventScroll: true });
    }

    const thread = document.getElementById("thread");
    if (!thread) return;
    watch(thread, document.getElementById("thread-scroll"));
    const form = document.getElementById("thread-write");
    if (form) count(form);
})();
