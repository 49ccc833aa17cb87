// npm install zeromq@6 @msgpack/msgpack@3
// node subscribe.mjs [ADDRESS]
import { decode } from "@msgpack/msgpack";
import { Subscriber } from "zeromq";

const socket = new Subscriber();
socket.connect(process.argv[2] ?? "tcp://127.0.0.1:5577");
socket.subscribe("er.v1.affect");
for await (const [topic, payload] of socket) {
  const m = decode(payload);
  const causes = Object.entries(m.gaps).map(([modality, gaps]) => [modality, gaps.at(-1)]);
  console.log(m.top, m.confidence.toFixed(2), m.abstained, Object.fromEntries(causes));
}
