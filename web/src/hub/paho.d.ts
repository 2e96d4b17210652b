/** The part of paho-mqtt 1.1.0 that we use; its published types describe an older, global shape. */
declare module "paho-mqtt" {
  export interface Failure {
    errorCode: number;
    errorMessage: string;
  }

  export interface Loss {
    errorCode: number;
    errorMessage?: string;
  }

  export class Message {
    constructor(payload: string | ArrayBuffer);
    destinationName: string;
    qos: number;
    retained: boolean;
    readonly payloadString: string;
    readonly payloadBytes: Uint8Array;
  }

  export interface ConnectOptions {
    timeout: number;
    keepAliveInterval: number;
    cleanSession: boolean;
    userName?: string;
    password?: string;
    mqttVersion: 3 | 4;
    reconnect: boolean;
    onSuccess(): void;
    onFailure(failure: Failure): void;
  }

  export interface SubscribeOptions {
    qos: 0 | 1 | 2;
    onSuccess(): void;
    onFailure(failure: Failure): void;
  }

  export class Client {
    constructor(uri: string, clientId: string);
    onConnectionLost: (loss: Loss) => void;
    onMessageArrived: (message: Message) => void;
    onMessageDelivered: (message: Message) => void;
    connect(options: ConnectOptions): void;
    subscribe(filter: string, options: SubscribeOptions): void;
    send(message: Message): void;
    disconnect(): void;
  }
}
