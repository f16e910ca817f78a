// A real `assentd dev` on ports of its own: started, read, ended.

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface DevCluster {
  page: string; // the url that it prints, with its token
  base: string;
  token: string;
  directory: string;
  ended: Promise<number | null>;
  end: () => Promise<number | null>;
}

export async function start_dev(): Promise<DevCluster> {
  const folder = process.env['ASSENT_BIN_DIR'] ?? join(process.cwd(), '../build/release/bin');
  const program = join(folder, 'assentd');
  if (!existsSync(program)) throw new Error(`${program} is not built`);
  const child: ChildProcess = spawn(program, ['dev'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  let printed = '';
  const page = await new Promise<string>((resolve, reject) => {
    const heard = (data: Buffer) => {
      printed += data.toString();
      const found = /dashboard\s+(http:\S+)[\s\S]*data {7}(\S+)/.exec(printed);
      if (found?.[1] !== undefined) resolve(found[1]);
    };
    child.stdout?.on('data', heard);
    child.stderr?.on('data', heard);
    void ended.then((code) => reject(new Error(`assentd dev ended with ${code}: ${printed}`)));
  });
  const end = async () => {
    child.kill('SIGTERM');
    return ended;
  };
  return {
    page,
    base: page.slice(0, page.indexOf('/#')),
    token: /token=(\w+)/.exec(page)?.[1] ?? '',
    directory: /data {7}(\S+)/.exec(printed)?.[1] ?? '',
    ended,
    end,
  };
}
