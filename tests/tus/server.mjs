// The tus server of the npm registry on a free port of the loopback. Says the port on its first line.
//   node server.mjs DIRECTORY MILLISECONDS
// Waits so long before each PATCH, so that there is a middle of an upload to be killed in.
import http from 'node:http';
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';

const [directory, wait] = process.argv.slice(2);
const tus = new Server({ path: '/files', datastore: new FileStore({ directory }) });
const server = http.createServer(async (request, response) => {
  console.log(`${request.method} ${request.url}`);
  if (request.method === 'PATCH') await new Promise((done) => setTimeout(done, Number(wait)));
  return tus.handle(request, response);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
